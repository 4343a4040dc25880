"""`lmmbench import`: data of others, on the user's machine and at the user's word, into a pack or a word list."""

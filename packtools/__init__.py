"""Programs that make packs. They stand apart from tasks/, which holds data only, and from lmmbench/, which needs none
of what they need."""

"""The pictures and items of tasks/korean-image and tasks/korean-image-blind.

    python -m packtools.korean_image                  # draw again, from the subset fonts beside this file
    python -m packtools.korean_image --fonts DIR      # from the whole fonts of Debian's fonts-nanum, and renew the subsets

A scene is one question: the data that is drawn, the painting, and the answer that follows from the same data.
"""

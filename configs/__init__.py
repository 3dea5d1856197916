"""What varies between installations: typed settings and the files of each environment."""

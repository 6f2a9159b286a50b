"""`embodied data`: verbs that look into datasets, check them and make new ones."""

HELP = """Look into a dataset, check it, or make another one from it. No verb changes a file that it reads."""
EXAMPLE = "embodied data merge a.hdf5 b.hdf5 -o both.hdf5"
VERBS = {
    "info": "say what datasets hold: episodes, success, streams, units, bytes",
    "show": "show one episode as a web page: pictures, plans, streams over time",
    "replay": "play episodes again, and say whether the same states come out",
    "render": "render the pictures of episodes: any camera, size, light, depth",
    "stats": "measure the arrays for normalisation: mean, std, limits, quantiles",
    "filter": "copy the episodes that meet conditions",
    "split": "divide the episodes into parts, by shares or counts",
    "export": "write episodes in the format of LeRobot or another tool",
    "generate": "make many demonstrations from few, checked by simulation",
    "repair": "save the whole episodes of a damaged file or an unfinished collection",
    "audit": "say which episodes to trust, and why not",
    "import": "read a dataset of LeRobot or robomimic",
    "merge": "put the episodes of several datasets into one",
}

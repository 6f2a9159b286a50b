"""The training ground: props, scenes, tasks and their variations; the Gymnasium
classes.
"""

"""Controllers that execute a planner's skills from proprioception and a goal."""

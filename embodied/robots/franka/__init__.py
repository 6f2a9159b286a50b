"""The Franka Research 3: the arm and the gripper that our own robots carry."""

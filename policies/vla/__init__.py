"""The reference policy: a planner that sees images and reads an instruction."""

"""Schedule templates: a space beside the schedule that gives it meaning."""

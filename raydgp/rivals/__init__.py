"""What a deployed model is compared with; nothing here serves tuning or deployment."""

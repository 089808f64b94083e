"""What is known of each frame; a person's frame is never written."""

"""Recipes, losses, batches and the loop that trains teachers and students."""

"""Carry a conversation between a caller and an agent: one engine a medium and place."""

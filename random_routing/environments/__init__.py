"""Worlds of states and actions, as tables: what reinforcement learning acts in."""

"""Agents that learn while they explore by the law: tabular Q-learning, Sarsa, and sample averages on bandits."""

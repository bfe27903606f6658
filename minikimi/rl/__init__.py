"""Reinforcement learning with verifiable rewards: online policy mirror descent, as in Kimi-VL (lesson 14).

Read in this order: rewards, response, policy, batch, rollout, sampling, engine, objective, datamodule. Beside them:
passk (evaluation by sampling), rejection (verified solutions), long2short and dpo (shorter thinking).
Source: Kimi k1.5 report (arXiv 2501.12599), section 2.3; Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

"""Speed, always as a ratio: what is measured, beside which peer, and the table (lesson 17)."""

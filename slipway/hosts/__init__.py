"""The machines: how they are reached, and what one probe reads off them."""

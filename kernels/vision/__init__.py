"""MoonViT's attention: packed images, heads 72 wide, 2-D rotary embedding (lessons 01 to 03 and 16)."""

"""What the models and the tools cost: time, memory, size, multiply-adds; nothing here imports tensorflow at its top."""

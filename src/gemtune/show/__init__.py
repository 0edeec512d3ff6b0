"""What people look at: loss curves and live progress in a terminal."""

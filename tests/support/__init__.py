"""What tests share: programs, samples of code, machines to compare with."""

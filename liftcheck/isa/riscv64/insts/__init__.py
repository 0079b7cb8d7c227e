"""riscv64's rows, a module for each part of the manual (`table` has them all), and how they are executed (`bench`)."""

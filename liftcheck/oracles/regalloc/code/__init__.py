"""The bytes against the allocation: every instruction of the code is one of the program's, a move, or the frame's."""

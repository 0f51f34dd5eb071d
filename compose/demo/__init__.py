"""The main job on real parts and real data, in one command, with proofs that can fail."""

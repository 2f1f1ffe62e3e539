"""Files of meter readings as people have them: what a file holds is detected, and its rows become readings of the contract."""

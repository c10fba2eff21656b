"""Is routing better than other decoders at equal diversity?"""

# Families of baselines that routing is compared with, and their names.
CURVES = {"temperature": "temperature", "top_p": "top-p"}

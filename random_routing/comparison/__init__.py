"""Is routing better than other decoders at equal diversity?"""

CURVES = {
    "temperature": "temperature",
    "top_p": "top-p",
}  # families of baselines that it is compared with: names

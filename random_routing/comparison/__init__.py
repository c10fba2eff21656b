"""Is routing better than other decoders at equal diversity?"""

"""Evaluation: how good a model is, in figures that reproduce.

``pieces`` finds what is measured on, ``likelihood`` measures how well each event is foretold,
``music`` compares what a model plays with what people play, ``report`` puts the figures together,
``page`` draws them for a reader, and ``comparison`` puts several reports side by side.
"""

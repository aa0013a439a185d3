"""What others do to find a unit's best image, timed against this project's engine in one run.

    python -m benchmarks.synthesis    time and activation: the table
    python -m benchmarks.diversity    do the fast preset's prototypes differ from each other as the paper's do

The baselines are written from the public descriptions and code of their authors, in plain torch, and share
nothing with `protoviz.synthesis`.
"""

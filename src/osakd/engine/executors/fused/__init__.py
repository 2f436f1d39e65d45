"""Many replicas in one network, by horizontal fusion.

Reference:
    Wang et al., "Horizontally Fused Training Array: An Effective Hardware Utilization Squeezer for Training Novel Deep
    Learning Models", MLSys 2021 (HFTA): operators of several models become one operator of several groups.
"""

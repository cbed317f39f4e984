//! Golden values computed by hand, windows, counters, gaps, lineage.

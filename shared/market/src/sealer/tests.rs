//! Quotes from rows: FULL blocks, withdrawal by every cause, return.

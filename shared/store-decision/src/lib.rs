//! Every query on the decision cluster, checked when it is built.

pub mod evidence;

//! One basis for the whole model: the identities, stock checkpoints, sizes that are asked for, refits,
//! statistics, and how all of it compares with the method of the paper.

mod identities;
mod quality;
mod size;
mod statistics;
mod stock;

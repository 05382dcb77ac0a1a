//! The method `shared`, with one basis for the whole model: identities, stock checkpoints, target
//! sizes, refits, statistics, and the comparison with the method of the paper.

mod identities;
mod quality;
mod size;
mod statistics;
mod stock;

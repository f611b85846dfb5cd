//! Properties that must hold for any tables whatever, checked against a second reading of the
//! manual that has nothing in common with the first.

mod access;
mod capture;
mod check;
mod decode;
mod diff;
mod forest;
mod interpreter;
mod naive;
mod side_by_side;
mod tables;
mod world;

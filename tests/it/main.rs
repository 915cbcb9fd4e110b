//! The product through its doors: every test starts the real server and reads what the stand-ins received.

mod support;

mod smoke;

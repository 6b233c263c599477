//! AWS, through its SDK: carries out single operations and tells what was seen.
//!
//! Only this module imports the SDK. `clients` holds the service clients, `connector` is the one place where requests
//! leave (counted, paced, and kept on loopback in tests), `failure` turns every error into a class, `call` runs one
//! call. Each family of resources has a folder or file of its own with the same six verbs. Nothing here decides what
//! should be, repeats a call that changes anything, or remembers anything between two calls.

mod balancer;
mod bucket;
mod bucket_content;
mod call;
mod certificate;
mod changes;
mod clients;
mod cloud;
mod connector;
mod consistency;
mod elastic_ip;
mod failure;
mod flow_log;
mod gateway_endpoint;
mod holders;
mod identity;
mod instance;
mod instance_launch;
mod instance_profile;
mod internet_gateway;
mod listener;
mod listener_rule;
mod load_balancer;
mod log_group;
mod material;
mod nat_gateway;
mod network_acl;
mod network_acl_association;
mod network_acl_entry;
mod object;
mod pace;
mod pages;
mod parameter;
mod policy_document;
mod preflight;
mod role;
mod route;
mod route_table;
mod route_table_association;
mod scope;
mod security_group;
mod security_group_rule;
mod subnet;
mod tagged;
mod target_group;
mod target_registration;
mod verbs;
mod volume;
mod volume_attachment;
mod vpc;

pub use clients::{Caller, Clients, ConnectError, Options};
pub use cloud::Aws;
pub use connector::{CallLog, LoggedCall};
pub use material::{
    CertificateMaterial, MAX_ARTIFACT_BYTES, MAX_PEM_BYTES, MAX_SECRET_BYTES, Material, MaterialError, Secret,
    read_text,
};
pub use preflight::{Preflight, Problem, Topic, preflight};

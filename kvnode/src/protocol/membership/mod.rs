//! Gossip membership: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2017). See the
//! submodules; this file only declares them.

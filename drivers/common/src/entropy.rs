//! The seed of a boot. It comes from the operating system and cannot be set (rule F1), because a seed that repeats
//! would repeat the random number that tells two boots of a member apart.

use crate::error::StartError;

pub(crate) fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StartError::Randomness(error.to_string()))?;
    Ok(seed)
}

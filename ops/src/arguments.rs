//! Arguments that several commands take alike.
//!
//! Input: text of the command line. Output: values, or why the text is none. It runs nothing.

/// Form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For eyes.
    Human,
    /// One JSON object on one line; what else there is to say goes to standard error.
    Json,
}

/// A number of minutes.
///
/// # Errors
/// No number, or none from half a minute to a day.
pub(crate) fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.5..=1_440.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("a number of minutes from 0.5 to 1440".to_owned()),
    }
}

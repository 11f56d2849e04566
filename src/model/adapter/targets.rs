//! Which modules PEFT's patterns mean: names by their end, regular expressions, and
//! layers by number. As `check_target_module_exists` and `get_pattern_key` of PEFT do.

use regex::Regex;

use super::config::OneOrMany;

/// Modules by name.
#[derive(Debug)]
pub(super) enum Names {
    /// A regular expression of the whole name.
    Pattern(Regex),
    /// Names, in full or their ends.
    List(Vec<String>),
    /// Every linear layer but the output matrix.
    AllLinear,
}

impl Names {
    pub(super) fn new(names: OneOrMany, key: &str) -> Result<Self, String> {
        Ok(match names {
            OneOrMany::One(word) if word.eq_ignore_ascii_case("all-linear") => Self::AllLinear,
            OneOrMany::One(pattern) => Self::Pattern(regex(&format!("^(?:{pattern})$"), key)?),
            OneOrMany::Many(names) => Self::List(names),
        })
    }

    /// Whether a list has the name in full.
    pub(super) fn has(&self, module: &str) -> bool {
        matches!(self, Self::List(names) if names.iter().any(|name| name == module))
    }

    /// Whether the module is meant.
    pub(super) fn match_whole(&self, module: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(module),
            Self::List(names) => names.iter().any(|name| is_end(module, name)),
            Self::AllLinear => !module.ends_with("embed_tokens") && module != "lm_head",
        }
    }
}

/// Whether a module's name is `end`, or ends with it after a dot.
fn is_end(module: &str, end: &str) -> bool {
    let rest = module.strip_suffix(end);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Layers by number, in any list of modules or in those that are named.
#[derive(Debug)]
pub(super) struct LayerFilter {
    layers: Vec<usize>,
    numbers: Vec<Regex>,
}

impl LayerFilter {
    pub(super) fn new(layers: Vec<usize>, lists: &[String]) -> Result<Self, String> {
        let numbers = match lists {
            [] => vec![regex(r"^.*?\.[^.]*\.(\d+)\.", "layers_pattern")?],
            lists => lists
                .iter()
                .map(|list| regex(&format!(r"^(?:|.*?\.)(?:{list})\.(\d+)\."), "layers_pattern"))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { layers, numbers })
    }

    pub(super) fn has(&self, module: &str) -> bool {
        let found = self.numbers.iter().find_map(|number| number.captures(module));
        // The last group, since a list's own pattern may have groups too.
        let layer = found.and_then(|found| found.iter().last()??.as_str().parse().ok());
        layer.is_some_and(|layer| self.layers.contains(&layer))
    }
}

/// Values by patterns of names; the first that matches counts.
#[derive(Debug)]
pub(super) struct Patterns<T>(Vec<(Regex, T)>);

impl<T> Patterns<T> {
    /// Patterns of names' ends.
    pub(super) fn at_end(patterns: Vec<(String, T)>, key: &str) -> Result<Self, String> {
        let compiled = patterns.into_iter().map(|(pattern, value)| {
            Ok((regex(&format!(r"^(?:.*\.)?(?:{pattern})$"), key)?, value))
        });
        Ok(Self(compiled.collect::<Result<_, String>>()?))
    }

    pub(super) fn find(&self, module: &str) -> Option<&T> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| value)
    }
}

impl Patterns<()> {
    /// Modules, and all that lies within them.
    pub(super) fn within(modules: &[String]) -> Result<Self, String> {
        let compiled = modules.iter().map(|module| {
            Ok((regex(&format!(r"^(?:|.*\.)(?:{module})(?:$|\.)"), "modules_to_save")?, ()))
        });
        Ok(Self(compiled.collect::<Result<_, String>>()?))
    }
}

fn regex(pattern: &str, key: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().to_owned();
        format!("`{key}` holds a pattern that cannot be read here ({reason})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Names {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Names::new(OneOrMany::Many(names), "target_modules").unwrap()
    }

    fn one(name: &str) -> Names {
        Names::new(OneOrMany::One(name.into()), "target_modules").unwrap()
    }

    const QUERY: &str = "model.layers.1.self_attn.q_proj";

    #[test]
    fn names_match_by_their_end_after_a_dot() {
        assert!(list(&["q_proj"]).match_whole(QUERY));
        assert!(list(&["self_attn.q_proj"]).match_whole(QUERY));
        assert!(!list(&["proj", "self_attn"]).match_whole(QUERY));
        assert!(list(&["lm_head"]).has("lm_head") && !list(&["q_proj"]).has(QUERY));
    }

    #[test]
    fn a_single_text_is_a_pattern_of_the_whole_name_or_all_linear_layers() {
        assert!(one(r".*\.(q|v)_proj").match_whole(QUERY));
        assert!(!one("q_proj").match_whole(QUERY));
        assert!(one("all-linear").match_whole(QUERY));
        assert!(!one("all-linear").match_whole("lm_head"));
        assert!(!one("ALL-LINEAR").match_whole("model.embed_tokens"));
        let error = Names::new(OneOrMany::One("(?!x)".into()), "target_modules").unwrap_err();
        assert!(error.contains("target_modules") && error.contains("look-around"), "{error}");
    }

    #[test]
    fn layers_are_counted_in_the_list_that_is_named() {
        let lists = |lists: &[&str]| lists.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        assert!(LayerFilter::new(vec![1], &[]).unwrap().has(QUERY));
        assert!(!LayerFilter::new(vec![0, 2], &[]).unwrap().has(QUERY));
        assert!(LayerFilter::new(vec![1], &lists(&["blocks", "layers"])).unwrap().has(QUERY));
        assert!(!LayerFilter::new(vec![1], &lists(&["blocks"])).unwrap().has(QUERY));
    }

    #[test]
    fn the_first_pattern_that_fits_an_end_counts() {
        let patterns = vec![("layers.1.*q_proj".to_owned(), 8), ("q_proj".to_owned(), 4)];
        let patterns = Patterns::at_end(patterns, "rank_pattern").unwrap();
        assert_eq!(patterns.find(QUERY), Some(&8));
        assert_eq!(patterns.find("model.layers.0.self_attn.q_proj"), Some(&4));
        assert_eq!(patterns.find("model.layers.0.self_attn.v_proj"), None);
        let within = Patterns::within(&["model.layers.1".to_owned(), "lm_head".into()]).unwrap();
        assert!(within.find(QUERY).is_some() && within.find("lm_head").is_some());
        assert!(within.find("model.layers.10.self_attn.q_proj").is_none());
    }
}

//! [`Compression`]: a whole model, from a plan to the parts of the cut model.

use std::sync::Arc;

use slicegpt_calibrate::{Directions, Spectrum};
use slicegpt_core::{Observer, TokenBatch, Unobserved};
use slicegpt_slice::{Profile, Refit, Spectra, Stages};

use crate::candidates::Candidate;
use crate::computing::{Batches, Computing};
use crate::dense::Dense;
use crate::enough::{directions, note_overfit, warn_if_few};
use crate::error::{CompressError, Result};
use crate::per_layer::PerLayer;
use crate::search::{Choice, Trial, choose, survey};
use crate::shared::{Frame, Shared, statistics};
use crate::times::Times;
use crate::{Cut, Plan, Ranking, SearchBudget, Shape, SharedCut, Sink, Split, Tables};

/// A compression to be run: the model, the plan, how it is computed, and the observer.
pub struct Compression<'a, D> {
    /// The dense model.
    pub decoder: &'a D,
    /// What to cut and how.
    pub plan: Plan,
    /// How the calibration is computed.
    pub computing: Computing<'a>,
    /// Receives progress, and may cancel.
    pub observer: Arc<dyn Observer>,
}

/// The result of a compression, without the parts that went to the sink.
#[derive(Clone, Debug)]
pub struct Compressed {
    /// What the model has become.
    pub shape: Shape,
    /// The spectra of the covariances of the stream, one per cut in their order, or a single one
    /// where the model has one basis. None if the cut needed no statistics: a stream of full width,
    /// and channels that a held-out refit chooses.
    pub spectra: Vec<Spectrum>,
    /// The splits that were measured: those on more tokens first, and then the best first.
    pub tried: Vec<Trial>,
    /// How linears were refitted, if they were.
    pub refit: Option<Refit>,
    /// The error of the refits on held-out calibration tokens divided by that on fitted ones, the
    /// mean over the sublayers. Far above 1 the calibration text is too small or of too few kinds.
    /// `None` if nothing was held out.
    pub held_out_ratio: Option<f64>,
    /// Where the time went.
    pub times: Times,
}

/// The shape that a search chose, and what it measured.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The split that was chosen.
    pub split: Split,
    /// The blocks of the dense model that it removes, ascending.
    pub removed: Vec<usize>,
    /// The splits that were measured: those on more tokens first, and then the best first. Empty if
    /// only one has the size.
    pub tried: Vec<Trial>,
}

/// A candidate, and the statistics of the dense model by which it was chosen.
struct Surveyed {
    choice: Choice,
    profile: Profile,
    directions: Directions,
    /// Whether the statistics are those of some of the tokens only.
    of_few: bool,
    stages: Stages,
}

/// What stays of a model in one basis, and what its choice brought to light.
struct Chosen {
    frame: Frame,
    spectra: Vec<Spectrum>,
    tried: Vec<Trial>,
    stages: Stages,
}

impl<'a, D: Tables> Compression<'a, D> {
    /// The default compression of a model, unobserved.
    pub fn new(decoder: &'a D) -> Self {
        let (plan, computing) = (Plan::default(), Computing::default());
        Self { decoder, plan, computing, observer: Arc::new(Unobserved) }
    }

    /// Compresses the model, calibrating on `tokens` (`[sequences, tokens]`), and hands its parts
    /// to `sink`.
    ///
    /// # Errors
    ///
    /// If the plan does not fit the model, a part cannot be read or handed over, a signal is not
    /// finite, or the observer cancels.
    pub fn run<S: Sink<D::Block>>(&self, tokens: &TokenBatch, sink: &mut S) -> Result<Compressed> {
        let cut = {
            let dimensions = self.decoder.dimensions().map_err(CompressError::model)?;
            self.plan.resolve(dimensions.as_ref())?
        };
        self.cut(&cut, None, tokens, sink)
    }

    /// [`Compression::run`] with a plan that was resolved before, and, for one basis, with
    /// statistics of the model that were computed before.
    ///
    /// # Errors
    ///
    /// As [`Compression::run`].
    pub fn cut<S: Sink<D::Block>>(
        &self,
        cut: &Cut,
        statistics: Option<Profile>,
        tokens: &TokenBatch,
        sink: &mut S,
    ) -> Result<Compressed> {
        self.check(tokens)?;
        match cut {
            Cut::PerLayer(widths) => {
                let dense = Dense::new(self.decoder, &self.observer)?;
                let spectra =
                    if self.plan.all_spectra { Spectra::Everywhere } else { Spectra::WhereCut };
                let refit = self.plan.refit();
                let shape = Shape::per_layer(widths.clone());
                sink.begin(&shape).map_err(CompressError::sink)?;
                let pass = PerLayer { dense: &dense, widths, refit, spectra };
                let Batches { batches, lanes } =
                    self.computing.batches(tokens, &self.decoder.device());
                let settings = self.computing.settings(&lanes, &self.observer)?;
                let (spectra, stages) =
                    pass.run(&batches, settings, &mut self.plan.axes(), sink)?;
                let times = Times { passes: stages, ..dense.clock.times() };
                let tried = Vec::new();
                Ok(Compressed { shape, spectra, tried, refit, held_out_ratio: None, times })
            }
            Cut::Shared(cut) => self.shared(cut, statistics, tokens, sink),
        }
    }

    /// Refuses an empty text, and warns of a short one.
    fn check(&self, tokens: &TokenBatch) -> Result<()> {
        if tokens.kept() == 0 {
            return Err(CompressError::NoTokens("there is no token to calibrate on"));
        }
        let dimensions = self.decoder.dimensions().map_err(CompressError::model)?;
        let directions = directions(&self.plan, dimensions.as_ref());
        warn_if_few(tokens.kept(), directions, self.observer.as_ref());
        Ok(())
    }

    /// The statistics of the dense model on `tokens`, which are valid for every cut to one basis.
    ///
    /// # Errors
    ///
    /// If a part cannot be read, a signal is not finite, or the observer cancels.
    pub fn statistics(&self, tokens: &TokenBatch) -> Result<Profile> {
        let dense = Dense::new(self.decoder, &self.observer)?;
        warn_if_few(tokens.kept(), dense.width(), self.observer.as_ref());
        self.profile(&dense, tokens)
    }

    /// The split of a cut that the statistics of the dense model do not influence: the only one,
    /// with all blocks and a stream of full width, whose units the pass chooses.
    fn needs_no_statistics(&self, cut: &SharedCut, width: usize) -> Option<Split> {
        let [split] = cut.splits.as_slice() else { return None };
        let whole = split.layers == self.decoder.blocks() && !self.plan.all_spectra;
        (whole && self.chooses_units(cut, *split, width)).then_some(*split)
    }

    /// Whether the pass that cuts chooses the units of a split, and nothing else needs statistics.
    fn chooses_units(&self, cut: &SharedCut, split: Split, width: usize) -> bool {
        let chooses = self.plan.refit() == Some(Refit::HeldOut) && cut.free.is_none();
        chooses && split.width == width
    }

    fn directions(&self, profile: &Profile) -> Result<Directions> {
        Ok(match self.plan.ranking.unwrap_or_default() {
            Ranking::Read => Directions::as_read(&profile.covariance, &profile.readers)?,
            Ranking::Energy => Directions::by_energy(&profile.covariance)?,
        })
    }

    fn search_budget(&self, parameters: u64) -> SearchBudget {
        self.plan.search_budget.unwrap_or(if parameters < SearchBudget::LARGE {
            SearchBudget::Unlimited
        } else {
            SearchBudget::DEFAULT
        })
    }

    /// The statistics of the dense model on `tokens`.
    fn profile(&self, dense: &Dense<'_, D>, tokens: &TokenBatch) -> Result<Profile> {
        let Batches { batches, lanes } = self.computing.batches(tokens, &self.decoder.device());
        statistics(dense, &batches, self.computing.settings(&lanes, &self.observer)?)
    }

    /// Measures the dense model, on some of the tokens if that is enough, and chooses a candidate.
    fn survey(
        &self,
        pass: &Shared<'_, D>,
        known: Option<Profile>,
        tokens: &TokenBatch,
    ) -> Result<Surveyed> {
        let Shared { dense, cut, dimensions, .. } = *pass;
        let mut stages = Stages::default();
        let is_search = cut.splits.len() > 1 || cut.splits[0].layers < self.decoder.blocks();
        let surveys = known.is_none() && is_search && !self.plan.all_spectra;
        let few = surveys.then(|| survey(tokens)).flatten();
        let profile = match known {
            Some(profile) => profile,
            None => self.profile(dense, few.as_ref().unwrap_or(tokens))?,
        };
        stages += profile.stages;
        let directions = self.directions(&profile)?;
        let budget = self.search_budget(dimensions.dense_parameters());
        let choice = choose(pass, (&profile, &directions), tokens, budget, &self.computing)?;
        Ok(Surveyed { choice, profile, directions, of_few: few.is_some(), stages })
    }

    /// Measures the splits of `cut` and chooses one, as [`Compression::cut`] does before it cuts.
    ///
    /// # Errors
    ///
    /// As [`Compression::run`].
    pub fn search(&self, cut: &SharedCut, tokens: &TokenBatch) -> Result<Searched> {
        self.check(tokens)?;
        let dense = Dense::new(self.decoder, &self.observer)?;
        let dimensions = self.decoder.dimensions().map_err(CompressError::model)?;
        let (dimensions, refit) = (dimensions.as_ref(), self.plan.refit());
        if let Some(split) = self.needs_no_statistics(cut, dense.width()) {
            return Ok(Searched { split, removed: Vec::new(), tried: Vec::new() });
        }
        let pass = Shared { dense: &dense, dimensions, cut, refit };
        let Choice { candidate, tried } = self.survey(&pass, None, tokens)?.choice;
        Ok(Searched { split: candidate.split, removed: candidate.removed, tried })
    }

    /// Chooses what stays, from the statistics of the dense model if it depends on them.
    fn frame(
        &self,
        pass: &Shared<'_, D>,
        known: Option<Profile>,
        tokens: &TokenBatch,
    ) -> Result<Chosen> {
        let (dense, cut) = (pass.dense, pass.cut);
        let mut stages = Stages::default();
        if let (None, Some(split)) = (&known, self.needs_no_statistics(cut, dense.width())) {
            let frame = pass.counted(&Candidate::whole(split))?;
            return Ok(Chosen { frame, spectra: Vec::new(), tried: Vec::new(), stages });
        }
        let surveyed = self.survey(pass, known, tokens)?;
        let Surveyed { choice, mut profile, mut directions, of_few, .. } = surveyed;
        let Choice { candidate, tried } = choice;
        stages += surveyed.stages;
        let is_counted = of_few && self.chooses_units(cut, candidate.split, dense.width());
        let frame = if is_counted {
            pass.counted(&candidate)?
        } else {
            if of_few {
                profile = self.profile(dense, tokens)?;
                stages += profile.stages;
                directions = self.directions(&profile)?;
            }
            pass.frame(&profile, &directions, &candidate, &mut self.plan.axes())?
        };
        Ok(Chosen { frame, spectra: vec![directions.spectrum().clone()], tried, stages })
    }

    fn shared<S: Sink<D::Block>>(
        &self,
        cut: &SharedCut,
        known: Option<Profile>,
        tokens: &TokenBatch,
        sink: &mut S,
    ) -> Result<Compressed> {
        let dense = Dense::new(self.decoder, &self.observer)?;
        let dimensions = self.decoder.dimensions().map_err(CompressError::model)?;
        let refit = self.plan.refit();
        let pass = Shared { dense: &dense, dimensions: dimensions.as_ref(), cut, refit };
        let Chosen { frame, spectra, tried, mut stages } = self.frame(&pass, known, tokens)?;
        sink.begin(&frame.shape).map_err(CompressError::sink)?;
        let Batches { batches, lanes } = self.computing.batches(tokens, &self.decoder.device());
        let settings = self.computing.settings(&lanes, &self.observer)?;
        let (written, held_out_ratio) = pass.write(&frame, &batches, settings, sink)?;
        stages += written;
        note_overfit(held_out_ratio, self.observer.as_ref());
        let times = Times { passes: stages, ..dense.clock.times() };
        Ok(Compressed { shape: frame.shape, spectra, tried, refit, held_out_ratio, times })
    }
}

/// Compresses a model as `plan` says, calibrating on `tokens` (`[sequences, tokens]`), and hands
/// its parts to `sink`. [`Compression`] has more choices.
///
/// # Errors
///
/// As [`Compression::run`].
pub fn compress<D: Tables, S: Sink<D::Block>>(
    decoder: &D,
    tokens: &TokenBatch,
    plan: &Plan,
    sink: &mut S,
    observer: Arc<dyn Observer>,
) -> Result<Compressed> {
    let plan = plan.clone();
    Compression { plan, observer, ..Compression::new(decoder) }.run(tokens, sink)
}

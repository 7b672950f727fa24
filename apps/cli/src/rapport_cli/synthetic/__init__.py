"""Made-up stakeholders and answers with known shares. Everything made here says that it is synthetic."""

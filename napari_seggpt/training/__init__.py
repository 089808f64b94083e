"""Everything with gradients: data, simulation, training and prompt tuning."""

"""The initialisation that most of these networks share."""

from minitorch_cnn import nn


def he_convolutions(model, mode="fan_in"):
    """Draw the weights of all convolutions by He's rule for ReLU, and set the biases to 0.

    Parameters
    ----------
    model : Module
    mode : "fan_in" or "fan_out"
        As in `nn.init.kaiming_normal_`.

    Notes
    -----
    Source: He, Zhang, Ren and Sun 2015, "Delving Deep into Rectifiers", section 2.2, arXiv 1502.01852.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

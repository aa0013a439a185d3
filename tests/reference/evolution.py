"""Evolution strategies as their papers print them: one search, numpy, a loop for every index, float64.

Each function runs a strategy and returns the states after every generation. The restricted covariance of
VD-CMA is written out as a matrix, its Fisher matrix is formed element by element and solved.
"""

import math

import numpy as np
from scipy.linalg import sqrtm


def fixed_sigma(mean, sigma, draws, respond, parents):
    """mean <- sum_i w_i x_i, w_i ~ log(mu + 1) - log(i), over the best mu; nothing else changes (S3)."""
    weights = [math.log(parents + 1) - math.log(i) for i in range(1, parents + 1)]
    weights = [w / sum(weights) for w in weights]
    states = []
    for z in draws:
        x = [mean + sigma * z_k for z_k in z]
        order = ranking([respond(x_k) for x_k in x])
        mean = sum(w * x[k] for w, k in zip(weights, order, strict=False))
        states.append({"mean": mean})
    return states


def cma(mean, sigma, draws, respond, parents):
    """Hansen 2016, appendix A, with the eigenvectors of C as the axes of its symmetric root."""
    n, samples = len(mean), len(draws[0])
    k = constants(n, samples, parents, "full")
    p_sigma, p_c, C = np.zeros(n), np.zeros(n), np.eye(n)
    states = []
    for g, z in enumerate(draws):
        root = sqrtm(C).real
        inverse_root = np.linalg.inv(root)
        x = [mean + sigma * root @ z_k for z_k in z]
        order = ranking([respond(x_k) for x_k in x])
        y = [(x[k_] - mean) / sigma for k_ in order]
        y_w = sum(w * y_i for w, y_i in zip(k["weights"], y, strict=True) if w > 0)
        mean = mean + sigma * y_w
        p_sigma = cumulate(p_sigma, inverse_root @ y_w, k["c_sigma"], k["mu_eff"])
        h = heaviside(p_sigma, g, k, n)
        p_c = cumulate(p_c, h * y_w, k["c_c"], k["mu_eff"])
        short = []
        for w, y_i in zip(k["weights"], y, strict=True):
            short.append(w if w >= 0 else w * n / np.sum((inverse_root @ y_i) ** 2))
        delta = (1 - h) * k["c_c"] * (2 - k["c_c"])
        new = np.zeros((n, n))
        for a in range(n):
            for b in range(n):
                new[a, b] = (1 + k["c_1"] * delta - k["c_1"] - k["c_mu"] * sum(k["weights"])) * C[a, b]
                new[a, b] += k["c_1"] * p_c[a] * p_c[b]
                new[a, b] += k["c_mu"] * sum(w * y_i[a] * y_i[b] for w, y_i in zip(short, y, strict=True))
        C = new
        sigma = sigma * grown(p_sigma, k)
        states.append({"mean": mean, "sigma": sigma, "p_sigma": p_sigma, "p_c": p_c, "covariance": C, "h": h})
    return states


def sep_cma(mean, sigma, draws, respond, parents):
    """The same for a diagonal C = D^2 that is multiplied by 2^(what would be added to it, over it)."""
    n, samples = len(mean), len(draws[0])
    k = constants(n, samples, parents, "separable")
    p_sigma, p_c, D = np.zeros(n), np.zeros(n), np.ones(n)
    states = []
    for g, z in enumerate(draws):
        x = [mean + sigma * D * z_k for z_k in z]
        order = ranking([respond(x_k) for x_k in x])
        z = [z[k_] for k_ in order]
        z_w = sum(w * z_i for w, z_i in zip(k["weights"], z, strict=True) if w > 0)
        mean = mean + sigma * D * z_w
        p_sigma = cumulate(p_sigma, z_w, k["c_sigma"], k["mu_eff"])
        h = heaviside(p_sigma, g, k, n)
        p_c = cumulate(p_c, h * z_w, k["c_c"], k["mu_eff"])
        D = D.copy()
        for a in range(n):
            gain = k["c_1"] * (1 - (1 - h) * k["c_c"] * (2 - k["c_c"])) * (p_c[a] ** 2 - 1)
            for w, z_i in zip(k["weights"], z, strict=True):
                gain += k["c_mu"] * w * (z_i[a] ** 2 - 1)
            D[a] *= 2 ** (gain / 2)
        sigma = sigma * grown(p_sigma, k)
        states.append({"mean": mean, "sigma": sigma, "p_sigma": p_sigma, "p_c": p_c, "scales": D, "h": h})
    return states


def vd_cma(mean, sigma, draws, respond, parents, v):
    """Natural gradient ascent of (ln D, v) on the weighted log likelihood, C = D (I + v v^T) D."""
    n, samples = len(mean), len(draws[0])
    k = constants(n, samples, parents, "vd")
    p_sigma, p_c, D = np.zeros(n), np.zeros(n), np.ones(n)
    states = []
    for g, z in enumerate(draws):
        root = sqrtm(np.eye(n) + np.outer(v, v)).real
        x = [mean + sigma * D * (root @ z_k) for z_k in z]
        order = ranking([respond(x_k) for x_k in x])
        y = [(x[k_] - mean) / sigma for k_ in order]
        y_w = sum(w * y_i for w, y_i in zip(k["weights"], y, strict=True))
        mean = mean + sigma * y_w
        p_sigma = cumulate(p_sigma, np.linalg.inv(root) @ (y_w / D), k["c_sigma"], k["mu_eff"])
        h = heaviside(p_sigma, g, k, n)
        p_c = cumulate(p_c, h * y_w, k["c_c"], k["mu_eff"])
        gradient = h * k["c_1"] * likelihood_gradient(p_c, D, v)
        for w, y_i in zip(k["weights"], y, strict=True):
            gradient = gradient + k["c_mu"] * w * likelihood_gradient(y_i, D, v)
        alpha = coupling(v)
        change = np.linalg.solve(fisher(v, alpha), gradient)
        share = min(1, 0.7 * np.linalg.norm(v) / np.linalg.norm(change[n:]), 0.7 / np.abs(change[:n]).max())
        D, v = D * (1 + share * change[:n]), v + share * change[n:]
        sigma = sigma * grown(p_sigma, k)
        state = {"mean": mean, "sigma": sigma, "p_sigma": p_sigma, "p_c": p_c, "scales": D, "long_axis": v}
        states.append({**state, "h": h, "alpha": alpha, "share": share})
    return states


def constants(n, samples, parents, kind):
    """Rates and weights, for `kind` "full", "separable" or "vd"."""
    middle = (samples + 1) / 2 if parents is None else parents + 0.5
    raw = [math.log(middle) - math.log(i) for i in range(1, samples + 1)]
    plus, minus = [w for w in raw if w > 0], [-w for w in raw if w < 0]
    mu_eff = sum(plus) ** 2 / sum(w**2 for w in plus)
    mu_eff_minus = sum(minus) ** 2 / sum(w**2 for w in minus) if minus else 0
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    c_sigma = max(min(0.5, (mu_eff + 2) / (n + mu_eff + 3)), 0.5 / (math.sqrt(n / mu_eff) + 1))
    if kind == "full":
        c_1 = min(1, samples / 6) * 2 / ((n + 1.3) ** 2 + mu_eff)
        c_mu = min(1 - c_1, 2 * (mu_eff - 1.75 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff))
        limit = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_minus / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu))
    elif kind == "separable":
        c_c = (1 + 1 / n + mu_eff / n) / (n**0.5 + 1 / n + 2 * mu_eff / n)
        c_1 = 1 / (n + 2 * n**0.5 + mu_eff / n)
        c_mu = min(1 - c_1, (mu_eff - 1.75 + 1 / mu_eff) / (n + 4 * n**0.5 + mu_eff / 2))
        limit = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_minus / (mu_eff + 2))
    else:
        factor = max((n - 5) / 6, 0.5)
        c_1 = factor * 2 / ((n + 1.3) ** 2 + mu_eff)
        c_mu = min(1 - c_1, factor * 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff))
        limit = 0
    steeper = max(1, 3 * (1 - 2 ** (-n / 9)))
    return {
        "weights": [w / sum(plus) if w > 0 else (w * limit / sum(minus) if minus else 0) for w in raw],
        "mu_eff": mu_eff,
        "c_sigma": c_sigma,
        "d_sigma": 1 + 2 * max(0, steeper * math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma,
        "c_c": c_c,
        "c_1": c_1,
        "c_mu": c_mu,
        "chi": math.sqrt(2) * math.gamma((n + 1) / 2) / math.gamma(n / 2),
    }


def ranking(responses):
    """Indices, best first; what is not finite comes last."""
    return sorted(
        range(len(responses)), key=lambda k: (not math.isfinite(responses[k]), -np.nan_to_num(responses[k]))
    )


def cumulate(path, step, rate, mu_eff):
    return (1 - rate) * path + math.sqrt(rate * (2 - rate) * mu_eff) * step


def heaviside(p_sigma, g, k, n):
    norm = np.linalg.norm(p_sigma) / math.sqrt(1 - (1 - k["c_sigma"]) ** (2 * (g + 1)))
    return float(norm < (1.4 + 2 / (n + 1)) * k["chi"])


def grown(p_sigma, k):
    return math.exp(min(1, k["c_sigma"] / k["d_sigma"] * (np.linalg.norm(p_sigma) / k["chi"] - 1)))


def likelihood_gradient(y, D, v):
    """Gradient by (ln D, v) of -ln det(C) / 2 - y^T C^-1 y / 2, through dC of every parameter."""
    C = np.diag(D) @ (np.eye(len(v)) + np.outer(v, v)) @ np.diag(D)
    inverse = np.linalg.inv(C)
    slopes = []
    for slope in derivatives(np.diag(D), v):
        slopes.append(-np.trace(inverse @ slope) / 2 + y @ inverse @ slope @ inverse @ y / 2)
    return np.array(slopes)


def fisher(v, alpha):
    """F_ij = tr(C^-1 dC_i C^-1 dC_j) / 2, the blocks between D and v times alpha; the same for every D."""
    n = len(v)
    inverse = np.linalg.inv(np.eye(n) + np.outer(v, v))
    slopes = derivatives(np.eye(n), v)
    F = np.zeros((2 * n, 2 * n))
    for i in range(2 * n):
        for j in range(2 * n):
            F[i, j] = np.trace(inverse @ slopes[i] @ inverse @ slopes[j]) / 2
            F[i, j] *= alpha if (i < n) != (j < n) else 1
    return F


def derivatives(D, v):
    """dC of ln D_1, ..., ln D_n, v_1, ..., v_n."""
    n = len(v)
    C = D @ (np.eye(n) + np.outer(v, v)) @ D
    slopes = []
    for i in range(n):
        E = np.zeros((n, n))
        E[i, i] = 1
        slopes.append(E @ C + C @ E)
    for i in range(n):
        e = np.zeros(n)
        e[i] = 1
        slopes.append(D @ (np.outer(e, v) + np.outer(v, e)) @ D)
    return slopes


def coupling(v):
    """The greatest factor up to 1 with which no diagonal element falls below 1 / sqrt(1 + s).

    That is, of the block of D less what v explains of it, without its part along u^2 (u^2)^T.
    """
    s = v @ v
    u2 = v**2 / s

    def least(alpha):
        beta = (1 - alpha**2) * s**2 / (1 + s)
        return min(2 - (4 * alpha**2 - beta) * u2)

    wanted = 1 / math.sqrt(1 + s)
    if least(1.0) >= wanted:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if least(middle) >= wanted else (low, middle)
    return low

"""Losses as loops: too dumb to be wrong, and importing nothing from clusterjax."""

import numpy as np


def mean(terms) -> float:
    return float(np.mean(list(terms) or [0.0]))


def euclidean(a, b):
    return np.sqrt(np.sum((a - b) ** 2))


def cosine(a, b):
    return np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b))


def neighbours(labels):
    """Of each point that takes part: itself, its partners and its rivals."""
    present = [i for i in range(len(labels)) if labels[i] >= 0]
    for i in present:
        others = [j for j in present if j != i]
        yield i, [j for j in others if labels[j] == labels[i]], [j for j in others if labels[j] != labels[i]]


def contrastive_by_loops(x, labels, pos_margin, neg_margin):
    near, far = [], []
    for i, partners, rivals in neighbours(labels):
        near += [euclidean(x[i], x[j]) - pos_margin for j in partners]
        far += [neg_margin - euclidean(x[i], x[j]) for j in rivals]
    return mean(t for t in near if t > 0) + mean(t for t in far if t > 0)


def triplets_by_loops(x, labels, mining, margin):
    terms = []
    for i, partners, rivals in neighbours(labels):
        to_partners = [euclidean(x[i], x[j]) for j in partners]
        to_rivals = [euclidean(x[i], x[j]) for j in rivals]
        if mining == "hard" and partners and rivals:
            terms.append(max(0, max(to_partners) - min(to_rivals) + margin))
        elif mining != "hard":
            triplets = [(a, b) for a in to_partners for b in to_rivals if a - b + margin > 0]
            terms += [a - b + margin for a, b in triplets if mining == "all" or a < b]
    return mean(terms)


def ntxent_by_loops(x, labels, temperature):
    terms = []
    for i, partners, rivals in neighbours(labels):
        for j in partners if rivals else []:
            own = np.exp(cosine(x[i], x[j]) / temperature)
            terms.append(-np.log(own / (own + sum(np.exp(cosine(x[i], x[k]) / temperature) for k in rivals))))
    return mean(terms)


def supervised_contrastive_by_loops(x, labels, temperature):
    terms = []
    for i, partners, rivals in neighbours(labels):
        total = sum(np.exp(cosine(x[i], x[k]) / temperature) for k in partners + rivals)
        if partners:
            terms.append(mean(-np.log(np.exp(cosine(x[i], x[j]) / temperature) / total) for j in partners))
    return mean(terms)


def multi_similarity_by_loops(x, labels, alpha, beta, base):
    return mean(
        np.log(1 + sum(np.exp(-alpha * (cosine(x[i], x[j]) - base)) for j in partners)) / alpha
        + np.log(1 + sum(np.exp(beta * (cosine(x[i], x[k]) - base)) for k in rivals)) / beta
        for i, partners, rivals in neighbours(labels)
    )


def circle_by_loops(x, labels, margin, gamma):
    terms = []
    for i, partners, rivals in neighbours(labels):
        near, far = [cosine(x[i], x[j]) for j in partners], [cosine(x[i], x[k]) for k in rivals]
        near = sum(np.exp(-gamma * max(0, 1 + margin - s) * (s - (1 - margin))) for s in near)
        far = sum(np.exp(gamma * max(0, s + margin) * (s - margin)) for s in far)
        if partners and rivals:
            terms.append(np.log(1 + near * far))
    return mean(terms)

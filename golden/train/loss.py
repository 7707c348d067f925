"""What training minimises: ``task_weight · task + multiplier · keep + kl_weight · KL``.

KL is the divergence of the pruned model's answers from the dense int8 teacher's, the same model with every key kept;
keep is the mean of the soft mask over valid pairs (:meth:`golden.nn.backend.LatteRuntime.soft_keep`).
"""

import torch


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """``KL(teacher ‖ student)`` of logits (B, ..., classes), mean over everything but the classes; nats, scalar.

    No gradient reaches the teacher. Taken item by item: logits over a vocabulary are large.
    """
    parts = [_divergence_of_one(s, t) for s, t in zip(student, teacher.detach(), strict=True)]
    return torch.stack(parts).mean()


def _divergence_of_one(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    log_student = torch.log_softmax(student.float(), -1)
    log_teacher = torch.log_softmax(teacher.float(), -1)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(-1).mean()

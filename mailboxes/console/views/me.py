"""The user's own login: groups, password and second factor."""

from django.contrib.auth.views import PasswordChangeView
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from mailboxes.console.access import add_success, staff_with
from mailboxes.console.writing import log_change
from mailboxes.staff import second_factor
from mailboxes.staff.forms import ChangePasswordForm
from mailboxes.staff.unsent import fill_in


@require_safe
@staff_with()
def me(request):
    return render(
        request,
        "console/me.html",
        {
            "groups": request.user.groups.order_by("name"),
            "is_on": second_factor.is_enabled(request.user),
            "codes_left": second_factor.count_recovery_codes(request.user),
        },
    )


class PasswordView(PasswordChangeView):
    """Change the password. Django ends all other sessions of the user."""

    form_class = ChangePasswordForm
    template_name = "console/password.html"
    success_url = reverse_lazy("console:me")

    def get_form(self, form_class=None):
        return fill_in(self.request, super().get_form(form_class))

    def form_valid(self, form):
        add_success(
            self.request, _("Your password was changed. You are signed out in all other browsers.")
        )
        log_change(self.request, self.request.user, "Password changed.")
        return super().form_valid(form)


password = staff_with()(PasswordView.as_view())

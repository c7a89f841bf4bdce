"""Apps of other projects, with names that Django admin shows in place of theirs."""

from axes.apps import AppConfig as AxesConfig
from django.contrib.admin.apps import AdminConfig
from django_otp.plugins.otp_static.apps import DefaultConfig as OTPStaticConfig
from django_otp.plugins.otp_totp.apps import DefaultConfig as OTPTOTPConfig


class Administration(AdminConfig):
    default_site = "mailboxes.staff.admin_site.AdministratorSite"


class FailedSignIns(AxesConfig):
    verbose_name = "Failed sign-ins"


class AuthenticatorApps(OTPTOTPConfig):
    verbose_name = "Authenticator apps"


class RecoveryCodes(OTPStaticConfig):
    verbose_name = "Recovery codes"

"""Where the shop answers."""

from django.urls import path

from shop import views

urlpatterns = [
    path("members", views.join),
    path("session", views.enter),
    path("products", views.products),
    path("checkout", views.checkout),
    path("orders/<buyer>", views.orders),
    path("sales", views.sales),
]
